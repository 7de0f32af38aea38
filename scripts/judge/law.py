"""The law of append (SPEC section 2), judged in every retained snapshot without scanning them all.

Each data file is read once. The records of a topic partition are numbered densely in offset order, as the
independent reader returned them; a file is then a set of runs of such numbers, and a snapshot obeys the law
when the runs of its files tile [first position, committed offset) of every feed: no gap, no overlap.
"""

from bisect import bisect_left

from tables import local

SAMPLES = 20


class Law:
    def __init__(self, con, snapshots, topics, prefix):
        self.con, self.snapshots, self.topics, self.prefix = con, snapshots, topics, prefix
        self.violations = []
        self.count = 0
        self.offsets = {}  # (topic, partition) -> offsets in order
        for (topic,) in con.sql("select distinct topic from topic").fetchall():
            for p in topics[topic]:
                found = con.execute("select o from topic where topic = ? and p = ? order by o", [topic, p])
                self.offsets[topic, p] = [o for (o,) in found.fetchall()]

    def violate(self, kind, **facts):
        self.count += 1
        if len(self.violations) < SAMPLES:
            facts = {k: str(v) if k == "snapshot" else v for k, v in facts.items()}
            self.violations.append({"kind": kind, **facts})

    def judge(self, wanted, first_given, skip_foreign):
        """Judges the snapshots in `wanted`; returns facts for the verdict."""
        live = {s.snapshot_id: self.snapshots.live_files(s) for s in wanted}
        foreign = self.load_files({path for paths in live.values() for path in paths}, skip_foreign)
        runs = self.runs()
        first = self.first_positions(first_given)
        judged = 0
        for snapshot in wanted:
            committed = self.snapshots.offsets(snapshot)
            files = live[snapshot.snapshot_id]
            if committed is None:
                if any(path not in foreign for path in files):
                    self.violate("no offsets in the summary", snapshot=snapshot.snapshot_id)
                continue
            judged += 1
            self.judge_one(snapshot.snapshot_id, [f for f in files if f not in foreign], runs, first, committed)
        return {"judged": judged, "foreignFiles": len(foreign), "files": len(self.snapshots.files), "first": first}

    def load_files(self, paths, skip_foreign):
        """Reads (partition, offset) of every file into `rows`; returns the paths that another program wrote."""
        names = sorted(paths)
        foreign = set()
        topics = {}
        only = next(iter(self.topics)) if len(self.topics) == 1 else None
        for name in names:
            said = self.con.execute(
                "select decode(value) from parquet_kv_metadata(?) where decode(key) = 'kafka-iceberg.topic'",
                [local(name)],
            ).fetchone()
            if said is None and (skip_foreign or only is None):
                foreign.add(name)
                continue
            topics[name] = said[0] if said else only
        self.con.execute("create or replace table file (fid integer, name varchar, path varchar, topic varchar)")
        own = [n for n in names if n not in foreign]
        if own:
            self.con.executemany("insert into file values (?, ?, ?, ?)", [[i, n, local(n), topics[n]] for i, n in enumerate(own)])
        part, offset = f'"{self.prefix}partition"', f'"{self.prefix}offset"'
        self.con.execute("create or replace table rows (fid integer, topic varchar, p integer, o bigint)")
        for at in range(0, len(own), 500):
            self.con.execute(
                f"""insert into rows select fid, topic, {part}, {offset}
                from read_parquet(?, filename = true, union_by_name = true) r join file on r.filename = file.path""",
                [[local(n) for n in own[at : at + 500]]],
            )
        counts = dict(self.con.sql("select name, count(o) from file left join rows using (fid) group by 1").fetchall())
        for name, found in counts.items():
            stated = self.snapshots.files[name]
            if stated != found:
                self.violate("record_count is wrong", file=name, stated=stated, found=found)
        return foreign

    def runs(self):
        """{file: [(topic, partition, from, to)]} in dense numbers; reports rows that are not in the topic."""
        self.con.execute(
            """create or replace table numbered as
            select rows.fid, rows.topic, rows.p, rows.o, topic.r from rows left join topic using (topic, p, o)"""
        )
        for name, topic, p, o, n in self.con.sql(
            """select any_value(name), n.topic, p, min(o), count(*) from numbered n join file using (fid)
            where r is null group by fid, n.topic, p limit 20"""
        ).fetchall():
            self.violate("rows that the topic does not have", file=name, topic=topic, partition=p, offset=o, rows=n)
        found = self.con.sql(
            """select name, topic, p, min(r), max(r) + 1 from (
              select fid, topic, p, r, copy, r - row_number() over (partition by fid, topic, p, copy order by r) as run
              from (select *, row_number() over (partition by fid, topic, p, r) as copy from numbered where r is not null)
            ) join file using (fid, topic) group by name, topic, p, copy, run"""
        ).fetchall()
        runs = {}
        for name, topic, p, start, end in found:
            runs.setdefault(name, []).append((topic, p, start, end))
        return runs

    def first_positions(self, given):
        """Where each feed began: as told, else as the earliest retained snapshot that has the feed says."""
        first, root = {}, True
        for snapshot in self.snapshots.in_order():
            committed = self.snapshots.offsets(snapshot)
            if committed is None:
                continue
            complete = snapshot.parent_snapshot_id is None or snapshot.parent_snapshot_id in self.snapshots.by_id
            root = root and complete
            for topic, partitions in committed.items():
                for p, offset in partitions.items():
                    if (topic, p) not in first:
                        start = self.topics[topic][p]["start"] if topic in self.topics and p in self.topics[topic] else 0
                        first[topic, p] = offset if complete else start
        for topic, partitions in (given or {}).items():
            for p, offset in partitions.items():
                first[topic, int(p)] = offset
        return first

    def judge_one(self, snapshot, files, runs, first, committed):
        feeds = {}
        for path in files:
            for topic, p, start, end in runs.get(path, ()):
                feeds.setdefault((topic, p), []).append((start, end))
        for topic, partitions in committed.items():
            for p, offset in partitions.items():
                where = {"snapshot": snapshot, "topic": topic, "partition": p}
                known = self.offsets.get((topic, p), [])
                end = self.topics.get(topic, {}).get(p, {}).get("end")
                if end is None:
                    self.violate("committed offset of a feed that was not read", **where)
                    continue
                if offset > end:
                    self.violate("committed beyond the last stable offset", **where, committed=offset, end=end)
                have = feeds.pop((topic, p), [])
                self.tile(where, known, have, bisect_left(known, first[topic, p]), bisect_left(known, offset))
        for (topic, p), have in feeds.items():
            self.violate("rows of a feed without offsets", snapshot=snapshot, topic=topic, partition=p, runs=len(have))

    def tile(self, where, known, have, start, end):
        at = start
        for low, high in sorted(have):
            if low < at:
                last = min(high, at)
                kind = "doubled rows" if low >= start else "rows before the first position"
                self.violate(kind, **where, rows=last - low, first=known[low], last=known[last - 1])
            elif low > at:
                upto = min(low, end)
                if upto > at:
                    self.violate("lost rows", **where, rows=upto - at, first=known[at], last=known[upto - 1])
            at = max(at, high)
        if at < end:
            self.violate("lost rows", **where, rows=end - at, first=known[at], last=known[end - 1])
        if at > end:
            low = max(end, start)
            if at > low:
                self.violate("rows past the committed offset", **where, rows=at - low, first=known[low])
