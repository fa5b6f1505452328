"""How answers are had fast: pictures seen once, requests batched by length, answers drafted."""
