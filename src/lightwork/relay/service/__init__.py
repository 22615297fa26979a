"""The relay's hands: links, files, the clock. Law: it feeds the core and obeys it; frames go through as they are."""
