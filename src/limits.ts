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
  /** Chunks read from the store at once by the background embedder. */
  pendingReadMax: 256,
  /** Log entries applied at once by an index that follows the store: a search waits some 10 ms for them at most. */
  indexFollowMax: 256,
  /** Chunks read from the store at once when an index catches up with it. */
  indexReadMax: 2000,
  /** Lines waiting for the log writer before new ones are dropped and counted. */
  logLinesBufferedMax: 65_536,
  requestIdBytesMax: 128,
  /** Longest wait for `?wait=indexed`; past it the answer is 200 with what is still pending. */
  waitIndexedMsMax: 600_000,
  idempotencyKeysMax: 10_000,
  idempotencyKeyBytesMax: 255,
  /** One file given to the CLI's ingest. */
  ingestFileBytesMax: 256 * 1024 * 1024,
  /** Vectors of recent texts in one process: some nine thousand queries of 384 dimensions, a few minutes of a busy server. */
  embeddingCacheBytesMax: 16 * 1024 * 1024,
  /** Documents that wait to be committed: about a second of writing. Past it a write is refused, so that nobody waits long. */
  writesQueuedDocumentsMax: 10_000,
  /** Bytes of those documents, so that the memory of what waits has a ceiling. */
  writesQueuedBytesMax: 128 * 1024 * 1024,
} as const;
