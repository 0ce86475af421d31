"""How the table is followed, failed programs are revived, stalls are ended, and the report is published."""
