"""One widget a file. Widgets draw what they are given; they read no files and decide nothing."""
