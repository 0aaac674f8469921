"""What is asked of data before they are believed: their form, their checksums, and whether they are what they say."""
