/** Hidden commands of the processes that this program starts of itself. */
export const ENGINE_COMMAND = "__engine";
export const BUILDER_CHILD_COMMAND = "__index-builder";
export const TASK_COMMAND = "__task";
