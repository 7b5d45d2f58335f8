"""`a2 report`: one HTML file that shows runs, opens offline, and can be handed in."""
