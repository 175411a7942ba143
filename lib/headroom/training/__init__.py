"""Training on Horovod ranks, each hosted by a Spark task: the only importers of Horovod."""
