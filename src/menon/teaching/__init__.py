"""Teaching: sample, grade, select or weigh, learn."""
