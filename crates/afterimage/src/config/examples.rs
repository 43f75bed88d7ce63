//! Examples below the help of each command. A test reads every one of them as the command line it is.

/// What exit codes mean: below the help of the program, and in docs/cli.md.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0   done; a list may be empty
  1   failure: the store or API does not answer, a patch is refused, several sources have the record
  3   worker --exit-when-idle: something was dead-lettered
  4   no such record, or (dlq show) no such letter
  5   doctor: something loses changes
  6   dlq: some letters were not seen, or stayed; replay: lines were refused
  7   --fail-if-any, and the answer holds something
  64  bad settings, or a question that makes no sense

Start with:
  afterimage demo                     everything on this machine, with changes flowing
  afterimage changes --since 1h       what happened in the last hour
  afterimage history TABLE ID         who changed a record, when, from what to what";

pub(super) const WORKER: &str = "\
Examples:
  afterimage worker --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes --dlq-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes-dead --store cassandra --cassandra-nodes cassandra-1,cassandra-2
  afterimage worker --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes --exit-when-idle 5s";

pub(super) const SERVE: &str = "\
Examples:
  afterimage serve
  afterimage serve --listen 0.0.0.0:8080 --access-file access.toml --store mongodb --mongodb-uri mongodb://mongodb-1";

pub(super) const MIGRATE: &str = "\
Examples:
  afterimage migrate --store cassandra --cassandra-nodes cassandra-1 --cassandra-replication dc1:3
  afterimage migrate --sqlite-path ./afterimage.db";

pub(super) const DEMO: &str = "\
Examples:
  afterimage demo
  afterimage demo --for 1m --rate 20";

pub(super) const HEALTH: &str = "\
Examples:
  afterimage health
  afterimage health --listen 127.0.0.1:8080";

pub(super) const DOCTOR: &str = "\
Examples:
  afterimage doctor --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes
  afterimage doctor --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes --probe";

pub(super) const HISTORY: &str = "\
Examples:
  afterimage history users 123
  afterimage history memberships o1,123 --since 2d     a key of two parts
  afterimage history users 123 --as csv --output history.csv
  afterimage history accounts -- -5                    an id that begins with a dash";

pub(super) const STATE: &str = "\
Examples:
  afterimage state users 123
  afterimage state users 123 --at 2026-01-06T12:00
  afterimage state users 123 --at 24h --json";

pub(super) const STATES: &str = "\
Examples:
  afterimage states orders 7 --asc
  afterimage states orders 7 --since 2026-01-01 --json";

pub(super) const AT: &str = "\
Examples:
  afterimage at 2026-01-09T11:59:59Z shop/users/123 shop/memberships/o1,123
  afterimage at yesterday users/123 orgs/o1";

pub(super) const DIFF: &str = "\
Examples:
  afterimage diff users 123 --from 2026-01-06 --to 2026-01-08
  afterimage diff users 123 --from 24h --json";

pub(super) const REVERT: &str = "\
Examples:
  afterimage revert users 123 --to 2026-01-08
  afterimage revert users 123 --to 1h --json";

pub(super) const CHANGES: &str = "\
Examples:
  afterimage changes --actor agent-42 --since 2026-01-01
  afterimage changes --op delete,truncate --since 24h
  afterimage changes --table users --field email --since 30d --all
  afterimage changes --source afterimage --actor support     what was asked with the token support";

pub(super) const FEED: &str = "\
Examples:
  afterimage feed --since 1h
  afterimage feed --table orders --since 2026-01-01 --asc";

pub(super) const COUNTS: &str = "\
Examples:
  afterimage counts
  afterimage counts actor --since 7d
  afterimage counts table,op,day --since 30d";

pub(super) const BURSTS: &str = "\
Examples:
  afterimage bursts --since 7d
  afterimage bursts actor --threshold 10 --window 15m --op delete --since 24h";

pub(super) const GAPS: &str = "\
Examples:
  afterimage gaps orders 7
  afterimage gaps orders --since 24h --fail-if-any";

pub(super) const EXPORT: &str = "\
Examples:
  afterimage export --since 2026-01-01 --output changes.ndjson
  afterimage export --table orders --op delete --since 30d --csv";

pub(super) const REPLAY: &str = "\
Examples:
  afterimage replay events.ndjson
  afterimage replay letters.ndjson --dry-run
  afterimage replay - --correct";

pub(super) const COMPLETIONS: &str = "\
Examples:
  afterimage completions bash
  afterimage completions zsh";

pub(super) const DLQ_LS: &str = "\
Examples:
  afterimage dlq ls --dlq-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes-dead
  afterimage dlq ls --dlq-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes-dead --by reason --since 24h";

pub(super) const DLQ_SHOW: &str = "\
Examples:
  afterimage dlq show 5fea7756-0ea4-451a-a703-a558b933e274 --dlq-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes-dead";

pub(super) const DLQ_REDRIVE: &str = "\
Examples:
  afterimage dlq redrive --dlq-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes-dead --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes --dry-run
  afterimage dlq redrive --dlq-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes-dead --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes --filter reason=not_json";

pub(super) const DLQ_EXPORT: &str = "\
Examples:
  afterimage dlq export --dlq-url https://sqs.eu-central-1.amazonaws.com/123456789012/changes-dead > letters.ndjson";

pub(super) const TOKEN_NEW: &str = "\
Examples:
  afterimage token new auditing auditor
  afterimage token new compliance auditor --tenant acme --tenant globex --expires 30d
  afterimage token new support reader table=orders source=billing
  afterimage token new ada reader table=users,record=u1 table=members,record=o1,u1";
