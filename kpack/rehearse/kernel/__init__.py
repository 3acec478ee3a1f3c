"""What runs inside the rehearsed interpreter: standard library only, CPython 3.8 or newer, never imported by kpack."""
