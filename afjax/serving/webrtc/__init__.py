"""The page's protocol over WebRTC (docs/webrtc.md). aiortc does the work; requirements-webrtc.txt."""
