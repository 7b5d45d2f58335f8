def draw(run, results):
    pass
