"""The command line `dsvc`: parses, calls Repository, prints.

`main` finds the verb and loads the file of its family, so that no verb pays for the others. Here,
and nowhere below, the environment, the terminal and the home folder are read; what the library
needs of them is passed in.
"""
