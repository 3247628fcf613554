-- Files that grow, and folders into which documents are dropped, that are read as they are written.
CREATE TABLE calls.followed_sources (
  i_source      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- the machine on whose disk it is; '' for a file system that several share
  machine       text COLLATE "C" NOT NULL,
  path          text COLLATE "C" NOT NULL,
  time_zone     text NOT NULL,
  -- who reads it now, and until when it is theirs: one process at a time
  holder        text,
  held_until    timestamptz,
  -- as its reader last told: following, waiting, failing; and why
  state         text NOT NULL DEFAULT 'waiting',
  detail        text NOT NULL DEFAULT '',
  bytes_behind  bigint NOT NULL DEFAULT 0,
  told_at       timestamptz NOT NULL DEFAULT now(),
  rows          bigint NOT NULL DEFAULT 0,
  -- no rotated file that is older than this is unknown, by the file system's clock
  searched_to   timestamptz,
  first_row_at  timestamptz,
  last_row_at   timestamptz,
  UNIQUE (machine, path)
);

-- A file's content, wherever it lies by now: the path itself, or what a rotation made of it. Known by device and inode, by
-- its first bytes, and by those before the position.
CREATE TABLE calls.followed_files (
  i_file       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  i_source     integer NOT NULL REFERENCES calls.followed_sources,
  name         text NOT NULL,
  device       text NOT NULL,
  inode        text NOT NULL,
  head_bytes   integer NOT NULL DEFAULT 0,
  head_hash    bytea NOT NULL DEFAULT '',
  -- bytes, unpacked: all before it is stored. Written in the transaction of the rows
  position     bigint NOT NULL DEFAULT 0,
  before_bytes integer NOT NULL DEFAULT 0,
  before_hash  bytea NOT NULL DEFAULT '',
  -- number of the line that begins there
  line         bigint NOT NULL DEFAULT 1,
  format       text,
  -- the header in force there, and how many bytes stand before the first row
  columns      text[],
  header_bytes integer NOT NULL DEFAULT 0,
  -- of the file, as the file system tells, when it was read last
  modified_at  timestamptz,
  -- rotated away and read to its end
  finished_at  timestamptz
);
CREATE INDEX followed_files_by_source ON calls.followed_files (i_source, i_file);

-- Documents of a followed folder that are stored and still lie there.
CREATE TABLE calls.followed_documents (
  i_source integer NOT NULL REFERENCES calls.followed_sources,
  name     text COLLATE "C" NOT NULL,
  -- inode, size and time of change: what is written anew under the same name is another document
  version  text NOT NULL,
  PRIMARY KEY (i_source, name)
);

-- Times of four weeks in which a source wrote nothing for more than five minutes: what its silence is measured by.
CREATE TABLE calls.followed_gaps (
  i_source integer NOT NULL REFERENCES calls.followed_sources,
  began_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  PRIMARY KEY (i_source, began_at)
);
