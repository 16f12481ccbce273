"""The only modules that touch sockets, aiortc, pyVoIP, Vosk, Whisper, PyAV and the disk."""
