"""Where a submission errs: parts of the files, sums over them, the worst samples."""
