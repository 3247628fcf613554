-- Records that last for long, of which there are few: legs that begin hours later may be of their calls
-- (store/linked_usage.ts). Made for the months that are there as those of 0008 (month_indexes.ts).
CREATE INDEX cdrs_long ON ONLY calls.cdrs (i_account, start_time) WHERE duration_s > 21600;
