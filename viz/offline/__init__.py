"""Pictures without a server: the same scripts as on the pages, in one file that needs nothing else."""
