"""The command line: an adapter without science. torch is imported only when a command runs."""
