class Base:
    def name(self) -> str:
        return type(self).__name__.lower()
