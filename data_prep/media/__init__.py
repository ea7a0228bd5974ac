"""Images, faces, and videos as releases hold them."""
