"""The media plane without sockets: RTP, G.711, timestamp-placed playout, bridge, tones."""
