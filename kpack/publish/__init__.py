"""Kaggle, by way of its official client: a pack becomes a dataset version, a notebook runs there and answers.

The client's typed API (``kagglesdk``, signed in by ``kaggle``) is called in this process, not the ``kaggle`` command:
the command says "error" and exits 0, prints where a library must be silent, and cannot be asked how far an upload is.
Signing in stays the client's own business. Only the bytes of an upload are sent from here (`kpack.publish.upload`).
"""
