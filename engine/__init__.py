"""The engine: the training process and its torch-free half (configuration, events, queue, runs, hardware, planning).

`engine.__main__` is the process; everything that imports torch is reached only from `engine.trainer`.
"""
