/**
 * The settings of PostgreSQL 15 to 18 that `spec.postgres.parameters` may have, and those that it may not. What is in neither is unknown: a misspelt name would
 * otherwise be found by the shard that restarts with it. Made from `postgres --describe-config` of these versions (18: its manual), which leaves out
 * what is meant for developers. Settings of extensions, `name.setting`, are not listed: the server takes any.
 */

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** Settings that are refused, by what they would do. */
export const REFUSED_PARAMETERS = {
  'is set by the operator': words(`
  archive_mode archive_timeout bonjour bonjour_name cluster_name config_file data_directory data_sync_retry dynamic_shared_memory_type event_source
  external_pid_file fsync full_page_writes hba_file hot_standby ident_file listen_addresses log_destination log_directory log_file_mode log_filename
  log_rotation_age log_rotation_size log_truncate_on_rotation logging_collector password_encryption port shared_memory_type ssl synchronous_commit
  syslog_facility syslog_ident syslog_sequence_numbers syslog_split_messages unix_socket_directories unix_socket_group unix_socket_permissions wal_level
  `),
  'takes connections or locks that the operator reckons with': words(`
  max_locks_per_transaction reserved_connections superuser_reserved_connections
  `),
  'reads files or runs programs': words(`
  archive_cleanup_command archive_command archive_library dynamic_library_path extension_control_path extension_destdir include include_dir
  include_if_exists jit_provider krb_server_keyfile local_preload_libraries oauth_validator_libraries output_plugin_libraries promote_trigger_file
  recovery_end_command restore_command session_preload_libraries shared_preload_libraries ssl_ca_file ssl_cert_file ssl_crl_dir ssl_crl_file
  ssl_dh_params_file ssl_key_file ssl_passphrase_command ssl_passphrase_command_supports_reload stats_temp_directory
  `),
  'changes what the services are answered': words(`
  array_nulls backslash_quote bytea_output check_function_bodies client_encoding createrole_self_grant datestyle db_user_namespace
  default_table_access_method default_tablespace default_text_search_config default_transaction_deferrable default_transaction_isolation
  default_transaction_read_only escape_string_warning event_triggers exit_on_error extra_float_digits intervalstyle lc_messages lc_monetary lc_numeric
  lc_time lo_compat_privileges quote_all_identifiers row_security search_path session_replication_role standard_conforming_strings temp_tablespaces
  timezone timezone_abbreviations transaction_deferrable transaction_isolation transaction_read_only transform_null_equals xmlbinary xmloption
  `),
  'ends or holds up the work of the services': words(`
  idle_session_timeout lock_timeout primary_conninfo primary_slot_name recovery_min_apply_delay recovery_target recovery_target_action
  recovery_target_inclusive recovery_target_lsn recovery_target_name recovery_target_time recovery_target_timeline recovery_target_xid statement_timeout
  sync_replication_slots synchronized_standby_slots synchronous_standby_names transaction_timeout
  `),
} as const;

/** `on` or `off`. */
export const BOOLEAN_PARAMETERS = words(`
  allow_alter_system autovacuum debug_pretty_print debug_print_parse debug_print_plan debug_print_rewritten enable_async_append enable_bitmapscan
  enable_distinct_reordering enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan
  enable_indexscan enable_material enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
  enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination enable_seqscan enable_sort
  enable_tidscan geqo gss_accept_delegation hot_standby_feedback jit krb_caseins_users log_checkpoints log_disconnections log_duration
  log_executor_stats log_hostname log_lock_failures log_lock_waits log_parser_stats log_planner_stats log_recovery_conflict_waits
  log_replication_commands log_statement_stats md5_password_warnings parallel_leader_participation restart_after_crash ssl_prefer_server_ciphers
  summarize_wal synchronize_seqscans track_activities track_commit_timestamp track_cost_delay_timing track_counts track_io_timing track_wal_io_timing
  update_process_title vacuum_truncate wal_init_zero wal_log_hints wal_receiver_create_temp_slot wal_recycle
`);

/** A number, many with a unit. */
export const NUMBER_PARAMETERS = words(`
  authentication_timeout autovacuum_analyze_scale_factor autovacuum_analyze_threshold autovacuum_freeze_max_age autovacuum_max_workers
  autovacuum_multixact_freeze_max_age autovacuum_naptime autovacuum_vacuum_cost_delay autovacuum_vacuum_cost_limit autovacuum_vacuum_insert_scale_factor
  autovacuum_vacuum_insert_threshold autovacuum_vacuum_max_threshold autovacuum_vacuum_scale_factor autovacuum_vacuum_threshold autovacuum_work_mem
  autovacuum_worker_slots backend_flush_after bgwriter_delay bgwriter_flush_after bgwriter_lru_maxpages bgwriter_lru_multiplier
  checkpoint_completion_target checkpoint_flush_after checkpoint_timeout checkpoint_warning client_connection_check_interval commit_delay
  commit_siblings commit_timestamp_buffers cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction deadlock_timeout
  default_statistics_target effective_cache_size effective_io_concurrency from_collapse_limit geqo_effort geqo_generations geqo_pool_size geqo_seed
  geqo_selection_bias geqo_threshold gin_fuzzy_search_limit gin_pending_list_limit hash_mem_multiplier huge_page_size
  idle_in_transaction_session_timeout idle_replication_slot_timeout io_combine_limit io_max_combine_limit io_max_concurrency io_workers jit_above_cost
  jit_inline_above_cost jit_optimize_above_cost join_collapse_limit log_autovacuum_min_duration log_min_duration_sample log_min_duration_statement
  log_parameter_max_length log_parameter_max_length_on_error log_startup_progress_interval log_statement_sample_rate log_temp_files
  log_transaction_sample_rate logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem max_active_replication_origins max_connections
  max_files_per_process max_logical_replication_workers max_notify_queue_pages max_parallel_apply_workers_per_subscription
  max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather max_pred_locks_per_page max_pred_locks_per_relation
  max_pred_locks_per_transaction max_prepared_transactions max_replication_slots max_slot_wal_keep_size max_stack_depth max_standby_archive_delay
  max_standby_streaming_delay max_sync_workers_per_subscription max_wal_senders max_wal_size max_worker_processes min_dynamic_shared_memory
  min_parallel_index_scan_size min_parallel_table_scan_size min_wal_size multixact_member_buffers multixact_offset_buffers notify_buffers
  old_snapshot_threshold parallel_setup_cost parallel_tuple_cost random_page_cost recursive_worktable_factor scram_iterations
  seq_page_cost serializable_buffers shared_buffers subtransaction_buffers tcp_keepalives_count tcp_keepalives_idle
  tcp_keepalives_interval tcp_user_timeout temp_buffers temp_file_limit track_activity_query_size transaction_buffers vacuum_buffer_usage_limit
  vacuum_cost_delay vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss vacuum_defer_cleanup_age vacuum_failsafe_age
  vacuum_freeze_min_age vacuum_freeze_table_age vacuum_max_eager_freeze_failure_rate vacuum_multixact_failsafe_age vacuum_multixact_freeze_min_age
  vacuum_multixact_freeze_table_age wal_buffers wal_decode_buffer_size wal_keep_size wal_receiver_status_interval wal_receiver_timeout
  wal_retrieve_retry_interval wal_sender_timeout wal_skip_threshold wal_summary_keep_time wal_writer_delay wal_writer_flush_after work_mem
`);

const SWITCH = ['on', 'off', 'true', 'false', 'yes', 'no', '1', '0'];
const LEVELS = ['debug5', 'debug4', 'debug3', 'debug2', 'debug1', 'debug', 'info', 'log', 'notice', 'warning', 'error'];

/** One of a few words, of any of these versions. */
export const WORD_PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  client_min_messages: LEVELS,
  compute_query_id: ['auto', 'regress', ...SWITCH],
  constraint_exclusion: ['partition', ...SWITCH],
  default_toast_compression: ['pglz', 'lz4'],
  file_copy_method: ['copy', 'clone'],
  file_extend_method: ['posix_fallocate', 'write_zeros'],
  huge_pages: ['try', ...SWITCH],
  icu_validation_level: ['disabled', ...LEVELS],
  io_method: ['sync', 'worker', 'io_uring'],
  log_error_verbosity: ['terse', 'default', 'verbose'],
  log_min_error_statement: [...LEVELS, 'fatal', 'panic'],
  log_min_messages: [...LEVELS, 'fatal', 'panic'],
  log_statement: ['none', 'ddl', 'mod', 'all'],
  plan_cache_mode: ['auto', 'force_generic_plan', 'force_custom_plan'],
  recovery_init_sync_method: ['fsync', 'syncfs'],
  recovery_prefetch: ['try', ...SWITCH],
  stats_fetch_consistency: ['none', 'cache', 'snapshot'],
  track_functions: ['none', 'pl', 'all'],
  wal_compression: ['pglz', 'lz4', 'zstd', ...SWITCH],
  wal_sync_method: ['fsync', 'fdatasync', 'open_sync', 'open_datasync'],
};

/** A text, which only the server can judge. */
const TEXT_PARAMETERS = words(`
  log_connections log_line_prefix log_timezone ssl_ciphers ssl_ecdh_curve ssl_groups ssl_max_protocol_version ssl_min_protocol_version ssl_tls13_ciphers
`);

/** Those that are refused, too: they are told apart by the rules about them. */
export const ALL_PARAMETERS: readonly string[] = [
  ...BOOLEAN_PARAMETERS,
  ...NUMBER_PARAMETERS,
  ...Object.keys(WORD_PARAMETERS),
  ...TEXT_PARAMETERS,
  ...Object.values(REFUSED_PARAMETERS).flat(),
];
