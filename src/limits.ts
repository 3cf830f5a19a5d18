/** Every bound in one place, each with its reason. A request past one is refused with a problem; nothing is cut silently. */
export const limits = {
  /** Largest JSON body. A thousand documents of 8 KB; a bigger load belongs in an NDJSON stream. */
  jsonBodyBytesMax: 8 * 1024 * 1024,
  /** Largest line of an NDJSON stream: one document with its vector and metadata. */
  ndjsonLineBytesMax: 4 * 1024 * 1024,
  /** Nesting of a JSON body. Ours need five levels, filters a few more; a parser bomb needs thousands. */
  jsonDepthMax: 32,
  /** Sum of request bodies being read at once. Past it new bodies are refused, so that memory has a ceiling. */
  bodyBytesInFlightMax: 256 * 1024 * 1024,
  /** Documents in one JSON request. */
  documentsPerRequestMax: 1000,
  /** Documents in one transaction: past a hundred a bigger one gains nothing and holds readers up for 100 ms. */
  documentsPerTransactionMax: 100,
  /** Result lines held for a client that writes an NDJSON stream and does not read the answers. */
  ndjsonResultBytesMax: 1024 * 1024,
  documentIdBytesMax: 512,
  titleBytesMax: 8 * 1024,
  /** Text of one document: a long book chapter. Larger files are split by whoever reads them. */
  textBytesMax: 2 * 1024 * 1024,
  metadataBytesMax: 64 * 1024,
  collectionNameBytesMax: 64,
  collectionsMax: 1000,
  aliasesMax: 1000,
  dimensionsMax: 4096,
  /** Tokens of one chunk, [CLS] and [SEP] included: the model's own window. */
  chunkTokensMax: 256,
  chunksPerDocumentMax: 20_000,
  /** Query text; what lies past the model's window is not embedded, but keywords are read from all of it. */
  queryBytesMax: 8 * 1024,
  kMax: 1000,
  offsetMax: 10_000,
  /** Distinct query terms given to the keyword index: 5,000 of them once took 32 s of one core. */
  keywordTermsMax: 32,
  filterNodesMax: 64,
  filterDepthMax: 8,
  filterValuesMax: 1000,
  fieldPathBytesMax: 256,
  facetFieldsMax: 10,
  facetValuesMax: 100,
  /** Searches in one multi-search request. */
  searchesPerRequestMax: 32,
  listLimitMax: 1000,
  listLimitDefault: 50,
  /** One text for /v1/embeddings; the model reads its first tokens only. */
  embeddingInputBytesMax: 64 * 1024,
  /** Texts in one /v1/embeddings request, OpenAI's own bound. */
  embeddingInputsMax: 2048,
  /** Addresses whose rate of requests is known: some 20 MB. */
  rateAddressesMax: 100_000,
  /** An answer that is compressed as a whole; a larger one goes out as it is. */
  compressedBytesMax: 16 * 1024 * 1024,
  /** Longest wait for one part to close when the server stops: an engine has `engineStopMsMax` to write down what it has. */
  stopStepMsMax: 15_000,
  /** Calls that wait for a query engine; past it callers are told that the server is busy. */
  engineCallsQueuedMax: 1024,
  /** Calls that one query engine has at once: the next is there when one is done, and few are lost with it. */
  engineCallsInFlightMax: 4,
  /** Time that an engine has to write down what it has when the server stops. */
  engineStopMsMax: 10_000,
  /** Passages handed to an embedding child in one message: one message is at most a quarter second of a transformer's time. */
  embeddingBatchMax: 16,
  /** Calls that may wait for a background engine; past it callers are told that the server is busy. */
  backgroundCallsQueuedMax: 512,
  /** Longest time for one call of a background engine, its start and the loading of its model included. */
  backgroundCallMsMax: 60_000,
  /** Rows of an index that wait in memory to be sealed: past it writes wait for the seal that is under way. */
  indexUnsealedBytesMax: 256 * 1024 * 1024,
  /** Copies of the database from before migrations: each is as large as the database was. */
  migrationBackupsMax: 3,
  /** Longest wait of a start for indexes that catch up with the store; past it they go on doing so while serving. */
  catchUpMsMax: 2000,
  /** Words of a query whose quotes mean phrases; longer texts quote others. */
  phraseQueryWordsMax: 12,
  /** Characters of chunks that searches have shown and that are remembered until the next commit. */
  hitsRememberedCharactersMax: 8 * 1024 * 1024,
  /** Chunk keys in the remembered sets of filters, some 50 bytes each. */
  filterSetKeysMax: 2_000_000,
  filterSetsMax: 256,
  /** Chunks removed before free pages are given back to the file system. */
  chunksRemovedPerVacuum: 1000,
  /** Chunks that are embedded again and written in one step: some seconds of a transformer, a few milliseconds of the writer. */
  chunksEmbeddedAgainMax: 64,
  /** Chunks read from the store at once by the background embedder. */
  pendingReadMax: 256,
  /** Log entries applied at once by an index that follows the store: a search waits some 10 ms for them at most. */
  indexFollowMax: 256,
  /** Chunks read from the store at once when an index catches up with it. */
  indexReadMax: 2000,
  /** Lines waiting for the log writer before new ones are dropped and counted. */
  logLinesBufferedMax: 65_536,
  /** A file of the audit log, past which another one is begun on the same day. */
  auditFileBytesMax: 64 * 1024 * 1024,
  /** How long the audit log is kept. */
  auditDaysKept: 30,
  /** What a library or a child of the server prints, in one line of the log. */
  foreignLineCharactersMax: 4096,
  /** Nesting of what is logged; what lies deeper is left out. */
  logDepthMax: 16,
  /** Label sets of one metric; the rest is counted under `other`. Routes, methods and status codes need some three hundred. */
  metricSeriesMax: 1000,
  /** Collections with numbers of their own: a scrape asks the database about each. */
  metricCollectionsMax: 100,
  /** Longest wait of a scrape for the engines' numbers; past it their last ones are shown. */
  metricsWaitMs: 250,
  /** Spans that wait for the collector; past it new ones are lost and counted. Two seconds of a thousand requests each. */
  traceSpansQueuedMax: 2048,
  /** Bytes after which a batch of light spans takes no more: a span has some 500, and as many of them as go together have room. */
  traceBatchBytesMax: 320 * 1024,
  /** Requests of detailed traces whose late spans are waited for. */
  traceRequestsOpenMax: 10_000,
  /** Longest wait for the collector when the server stops. */
  traceFlushMsMax: 3000,
  /** What other systems say of a trace that comes here, by its specification. */
  traceStateBytesMax: 512,
  /** Requests whose `tracestate` is remembered: those that run, and streams. */
  traceStatesMax: 10_000,
  requestIdBytesMax: 128,
  /** Longest wait for `?wait=indexed`; past it the answer is 200 with what is still pending. */
  waitIndexedMsMax: 600_000,
  idempotencyKeysMax: 10_000,
  idempotencyKeyBytesMax: 255,
  /** One file given to the CLI's ingest. */
  ingestFileBytesMax: 256 * 1024 * 1024,
  /** Vectors of recent texts in one process: some nine thousand queries of 384 dimensions, a few minutes of a busy server. */
  embeddingCacheBytesMax: 16 * 1024 * 1024,
  /** Distinct standing queries: past it a document is matched in more than 10 ms. */
  standingQueriesMax: 100_000,
  /** Bytes of those queries, nearly all of them their vectors: as many of 384 dimensions take some 230 MB. */
  standingQueriesBytesMax: 384 * 1024 * 1024,
  /** Standing queries that tell of documents that match no longer: each keeps a row for every document that matches. */
  standingLeaveQueriesMax: 1000,
  /** Such queries whose rows are kept for who comes back, those of now among them. */
  standingLeaveQueriesKeptMax: 2000,
  /** Documents of a collection in which such a query may be: they are all matched when it is registered. */
  standingScanDocumentsMax: 100_000,
  /** Changed documents that a resume looks at: some tenths of a second of the matcher's time. */
  standingChangesMax: 10_000,
  /** Fields that a match carries. */
  standingFieldsMax: 16,
  /** Characters of a chunk's text in a match: chunks are a few hundred words, but where documents are not cut. */
  standingTextCharactersMax: 16_384,
  /** Matches on their way from the matcher to the thread that sends them, in characters; past it the matcher waits. */
  standingToldCharactersMax: 8 * 1024 * 1024,
  /** Documents that were matched last and are remembered for replays: a few thousand, which many that come back ask for. */
  standingRecentBytesMax: 64 * 1024 * 1024,
  /** Calls that wait for the matcher; past it callers are told that the server is busy. */
  standingCallsQueuedMax: 100_000,
  /** Standing queries that are kept without a listener. */
  storedQueriesMax: 10_000,
  /** JSON text of one of them: its text and a filter of a few hundred values. */
  storedQueryBytesMax: 64 * 1024,
  /** Stored queries that are opened at once after a start; the rest of them wait. */
  storedQueriesOpeningMax: 64,
  /** Matches in one answer to who asks for those of a stored query. */
  storedMatchesPerPage: 200,
  webhookUrlBytesMax: 2048,
  /** Webhook requests at once, and those of them to one host, so that one that hangs leaves room for the others. */
  webhookRequestsMax: 32,
  webhookRequestsPerHostMax: 8,
  /** Longest wait for the answer to a webhook request, with everything that goes before it. */
  webhookRequestMsMax: 10_000,
  /** Longest wait for requests under way when the server stops; what is cut off is sent again at the next start. */
  webhookStopMsMax: 2000,
  /** Matches in one webhook request, and their characters. */
  webhookMatchesPerRequestMax: 100,
  webhookRequestCharactersMax: 256 * 1024,
  /**
   * Matches that wait for one webhook, for all, and the characters of all: past it no more are gathered, and they are found
   * by scoring again what changed when there is room.
   */
  webhookMatchesWaitingMax: 10_000,
  webhookMatchesWaitingTotal: 100_000,
  webhookCharactersWaitingTotal: 256 * 1024 * 1024,
  /** Documents of which it is known in which trace they were changed last: a second of writing, some 3 MB. */
  webhookTracesMax: 10_000,
  /** Matches in memory on their way to the store, in characters; past it they are found by scoring again. */
  webhookCharactersHeldMax: 16 * 1024 * 1024,
  /** Queries whose matches are put into their queues by one write, and the characters of those. */
  webhookQueriesPerWriteMax: 256,
  webhookCharactersPerWriteMax: 1024 * 1024,
  /** Stored queries that score at once what changed while they were behind: the matcher takes them in turns anyway. */
  webhookReplaysMax: 4,
  /** Documents that wait to be committed: about a second of writing. Past it a write is refused, so that nobody waits long. */
  writesQueuedDocumentsMax: 10_000,
  /** Bytes of those documents, so that the memory of what waits has a ceiling. */
  writesQueuedBytesMax: 128 * 1024 * 1024,
  /**
   * Calls in one message to the thread that writes, which begins with them while the other one reads the next requests:
   * 4 to 6 % more documents a second of 64 clients on two cores than with all of a turn in one.
   */
  writesPerMessageMax: 16,
  /** Text of a document that goes to the writing thread as JSON: a longer one is copied as it is. */
  packedTextCharactersMax: 4096,
  /** A frame that a live client sends: a publication of 32 KB with its envelope, or a query with its filter, twice over. */
  liveFrameBytesMax: 64 * 1024,
  /** A frame that a live client is sent as a reply: a page of history or the hits of a search. */
  liveReplyBytesMax: 256 * 1024,
  /** Rooms and standing queries of one connection. */
  liveSubscriptionsMax: 256,
  /** Requests of one connection that wait: past it nothing more is read from it. */
  liveRequestsWaitingMax: 32,
  /** What had been read already when that began; past it requests are refused. */
  liveRequestsHeldMax: 1024,
  /** Publications of one connection under way together, so that they are committed and sent out together. */
  livePublicationsInFlightMax: 32,
  /** Streams of search as you type that one connection has at once. */
  liveSearchStreamsMax: 8,
  /** Hits of one live search: what a person looks through while typing. */
  liveSearchHitsMax: 100,
  /** Unsent bytes of a connection past which replay, search results and presence wait. */
  liveBufferedBytesHold: 64 * 1024,
  /** Unsent bytes of a connection past which it is cut: it comes back and resumes from history. */
  liveBufferedBytesMax: 1024 * 1024,
  /** Unsent bytes of all connections; past it the largest are cut first. */
  liveBufferedBytesTotalMax: 256 * 1024 * 1024,
  /** A page of a replay: what goes into a socket at once, so that it cannot run over the bound by itself. */
  liveReplayFramesMax: 256,
  liveReplayBytesMax: 64 * 1024,
  /** Pages of all replays in one turn of the event loop: some milliseconds of reading, between which others are answered. */
  liveReplayPagesPerTurn: 16,
  /** Refused or malformed frames of one connection within `liveStrikesMs` before it is closed. */
  liveStrikesMax: 10,
  liveStrikesMs: 10_000,
  /** Connections closed together in a drain, with a pause after them: they come back as they were closed. */
  liveCloseBatch: 500,
  roomNameBytesMax: 128,
  /** Rooms that were ever used, since none is forgotten: some hundred megabytes of rows. */
  roomsMax: 1_000_000,
  /** JSON text of one message: half of the largest frame that a client may send. */
  messageBytesMax: 32 * 1024,
  /** Name of who sent a message. */
  senderBytesMax: 256,
  /** How long a publication's key is known. */
  publicationKeyMs: 5 * 60_000,
  /** Publications in one call to the store: what a turn of the event loop brings in a rush. */
  publicationsPerWriteMax: 256,
  /** Messages that a room may keep, and for how long. */
  historyMessagesMax: 100_000,
  historySecondsMax: 30 * 24 * 60 * 60,
  /** Messages in one page of a room's history, and their characters: with its frame it stays under what a socket is sent at once. */
  historyMessagesPerPage: 300,
  historyPageCharactersMax: 192 * 1024,
  /** Frames that a replay reads at once: a read takes about a millisecond. */
  replayFramesPerPage: 500,
  /** Rooms whose heads and settings are remembered though nobody holds them. */
  roomsRememberedMax: 10_000,
  /** The latest frames of a room in memory: a client that was away for a moment costs no read. */
  recentFramesPerRoom: 1024,
  recentFramesCharactersPerRoom: 2 * 1024 * 1024,
  /** Of all rooms together. */
  recentFramesCharactersMax: 32 * 1024 * 1024,
  /** Keys of publications in rooms without a past, which are known in memory only. */
  unstoredKeysMax: 10_000,
  /** Event streams over HTTP: with what waits for each of them, their memory has a ceiling. */
  eventStreamsMax: 1000,
  /** What waits for a reader of events; one that reads too slowly is cut off, and resumes. */
  eventBytesBufferedMax: 256 * 1024,
  eventFramesPerRead: 200,
  /** Reads for all of them in one turn of the event loop: some milliseconds, between which others are answered. */
  eventReadsPerTurn: 16,
  /** Jobs that wait; past it new ones are refused. */
  jobsQueuedMax: 10_000,
  /** Errors of a job that are kept to be shown; all are counted. */
  jobErrorsMax: 1000,
  /** Errors shown with the job itself; the others are a list of their own. */
  jobErrorsShown: 20,
  jobErrorMessageCharactersMax: 500,
  /** Finished jobs that are kept, and for how long. */
  jobsFinishedMax: 10_000,
  jobsFinishedMs: 30 * 24 * 60 * 60_000,
  /** Between two writes of how far a job is. */
  jobProgressMs: 500,
  /** Time that a job has to stop in once it is told to. */
  jobStopMsMax: 10_000,
  /** Files of one upload, and the bytes of all of them. */
  uploadFilesMax: 1000,
  uploadBytesMax: 1024 * 1024 * 1024,
  /** Bytes of uploads that wait for their jobs; past it new ones are refused. */
  uploadsBytesMax: 8 * 1024 * 1024 * 1024,
  /** Header lines of one part of an upload. */
  uploadPartHeaderBytesMax: 16 * 1024,
  /** Characters of documents that come from a reading child at once. */
  ingestBatchCharactersMax: 1024 * 1024,
  /** Of int8 graphs a process copies so many bytes out of their files: half a million nodes of 384 dimensions. Past it they are searched where they lie. */
  graphBytesCopiedMax: 256 * 1024 * 1024,
  /** Results of calls that an engine sends in one message. */
  resultsPerMessageMax: 4,
  /** Collections whose vectors the server's own thread searches while nothing else runs. */
  inThreadCollectionsMax: 16,
  /** Chunks of such a collection: the thread has at most some milliseconds for the opening of its graphs. */
  inThreadChunksMax: 262_144,
  /** Chunks that such a collection has beside its sealed segments, or that change after it was opened: they are compared one by one. */
  inThreadUnsealedMax: 1024,
  /** Sessions that presence names; it counts all. */
  presenceMembersShown: 100,
} as const;
