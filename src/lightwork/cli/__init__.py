"""cli: the command `lightwork`, which puts programs together for a shell. Its law: data on stdout, talk on stderr."""
