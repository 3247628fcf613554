-- Calls are found by a number as the switch wrote it, too. Only what differs from the number that is stored, and is no
-- longer than a key may be. New months have these indexes from the start; a running service makes them for the months
-- that are there, one after the other (number_indexes.ts), and they count as whole when the last one is made.
CREATE INDEX cdrs_by_cli_in ON ONLY calls.cdrs (i_account, cli_in COLLATE "C", start_time, i_cdr)
  WHERE length(cli_in) <= 128;
CREATE INDEX cdrs_by_cld_in ON ONLY calls.cdrs (i_account, cld_in COLLATE "C", start_time, i_cdr)
  WHERE length(cld_in) <= 128;
