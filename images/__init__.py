"""What the shipped snapshots of images are made from, and the script that makes them."""
