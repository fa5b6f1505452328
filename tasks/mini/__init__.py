"""A small synthetic world: chats with drawn pictures."""
