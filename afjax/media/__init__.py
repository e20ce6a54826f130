"""Reading and writing real files: video, sound, pictures. What is read is hostile until its header is checked."""
