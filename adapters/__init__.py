"""Every model behind one interface: open VLMs, lexical retrievers, reference rows."""
