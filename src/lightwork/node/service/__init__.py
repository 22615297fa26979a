"""The agent's hands: links, processes, shared files, directories. Law: it feeds the core and obeys it, no more."""
