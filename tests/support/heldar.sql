-- The tables of Heldar that the mirror reads, with the columns that it needs.
CREATE TABLE cameras (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, vendor TEXT NOT NULL DEFAULT 'generic', address TEXT,
    rtsp_port INTEGER NOT NULL DEFAULT 554, username TEXT, password TEXT, main_stream_url TEXT, sub_stream_url TEXT,
    record_stream TEXT NOT NULL DEFAULT 'main', record_enabled INTEGER NOT NULL DEFAULT 1,
    enabled INTEGER NOT NULL DEFAULT 1, mirror_enabled INTEGER NOT NULL DEFAULT 0, segment_seconds INTEGER DEFAULT 60,
    retention_hours INTEGER NOT NULL DEFAULT 24, storage_quota_bytes INTEGER, record_audio INTEGER NOT NULL DEFAULT 0,
    record_mode TEXT NOT NULL DEFAULT 'continuous', created_at TEXT NOT NULL DEFAULT '2001-01-01T00:00:00Z',
    updated_at TEXT NOT NULL DEFAULT '2026-01-01T00:00:00Z'
);
CREATE TABLE segments (
    id TEXT PRIMARY KEY, camera_id TEXT NOT NULL, path TEXT UNIQUE NOT NULL, start_time TEXT NOT NULL, end_time TEXT,
    duration_s REAL, size_bytes INTEGER, locked INTEGER NOT NULL DEFAULT 0, evidence_locked INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idx_segments_cam_time ON segments (camera_id, start_time);
CREATE TABLE camera_schedules (
    id TEXT PRIMARY KEY, camera_id TEXT NOT NULL, days TEXT NOT NULL DEFAULT '[0,1,2,3,4,5,6]',
    time_start TEXT NOT NULL, time_end TEXT NOT NULL, enabled INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE recording_gaps (
    id TEXT PRIMARY KEY, camera_id TEXT NOT NULL, gap_start TEXT NOT NULL, gap_end TEXT NOT NULL, gap_seconds REAL,
    fill_state TEXT NOT NULL DEFAULT 'pending'
);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT NOT NULL DEFAULT '');
