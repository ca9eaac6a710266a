"""The HTTP front: reads every request completely and within bounds, then answers it in the event loop or by Django."""
