-- up

-- Of the change that a match is of, where it belonged to a trace: requests go on with it, also after a restart.
ALTER TABLE webhook_deliveries ADD COLUMN traceparent TEXT;
ALTER TABLE webhook_deliveries ADD COLUMN tracestate TEXT;

-- down

ALTER TABLE webhook_deliveries DROP COLUMN tracestate;
ALTER TABLE webhook_deliveries DROP COLUMN traceparent;
