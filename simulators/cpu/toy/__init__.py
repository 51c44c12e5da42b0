"""The toy CPU of the paper: machine, table, kernel, and the stream that its authors drew from."""
