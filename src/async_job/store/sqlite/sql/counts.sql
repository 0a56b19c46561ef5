-- : counts
SELECT state, queue, n FROM tally WHERE n > 0;
