/**
 * The one place that loads usearch's native library: the single-binary build puts a module with the same exports here.
 * Loading it throws where no prebuilt library exists for the platform.
 */
export { exactSearch, Index, MetricKind, ScalarKind } from "usearch";
