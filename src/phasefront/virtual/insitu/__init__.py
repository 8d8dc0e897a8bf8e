"""Virtual in situ series: a region whose grains convert while it is scanned again and again."""
