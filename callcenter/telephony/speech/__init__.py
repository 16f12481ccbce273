"""Speech to text: caption segments, live and second pass, behind the Recogniser port."""
