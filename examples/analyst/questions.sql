-- Who wrote most in the last seven days?
SELECT author, count(*) AS commits, sum(events)::BIGINT AS events
FROM commits WHERE time >= epoch_ms($week) GROUP BY author ORDER BY commits DESC, author LIMIT 10;

-- Which graphs are busy?
SELECT graph, count(*) AS commits, count(DISTINCT author) AS people, max(time) AS latest
FROM commits WHERE time >= epoch_ms($week) GROUP BY graph ORDER BY commits DESC, graph LIMIT 10;

-- How many conflicts, by command?
SELECT command, count(*) AS conflicts, count(DISTINCT graph) AS graphs
FROM conflicts WHERE time >= epoch_ms($week) GROUP BY command ORDER BY conflicts DESC, command;
