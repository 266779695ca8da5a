"""The HTTP kit: who asks, what may they, problem documents, paging, server-sent events."""
