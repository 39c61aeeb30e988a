"""How good is a generated video? Each figure has the definition of its source, and its name says which.

- `motion`: warp error with exact or estimated flow, MAWE as in the paper and as in the released script
- `cuts`: scene cuts where there should be none
- `consistency`: seams between chunks, places seen again, identity over time
- `actions`: did the camera go where it was told to?
- `frechet`: the distance of two sets of videos in the space of a named encoder

Videos are (T, H, W, 3) uint8 RGB everywhere.
"""
