"""What a report holds: trainings, studies over seeds, data; and which of several runs is the best."""
