"""Speech of the simulated customers, made by `make_speech.py`: no person's voice."""
