/** How complete and how fresh a file's data was when the export began: `data_complete_to` and `replica_lag_s` of other answers. */
export const FRESHNESS_HEADERS = ['x-data-complete-to', 'x-replica-lag-s'] as const;
