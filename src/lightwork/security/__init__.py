"""Who may come in: credentials and their proofs. Law: it knows no sockets, and never prints a secret."""
