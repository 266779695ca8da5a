import { ApiError } from "../api/client";
import type { Problem } from "../api/types";
import { Button } from "./Button";
import { Icon } from "./Icon";
import { sentence } from "./Prose";

export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  return {
    type: "urn:ironroot:problem:console",
    title: "The console made a mistake",
    status: 0,
    detail: error instanceof Error ? error.message : String(error),
    remedy: "Reload the page. If it comes back, report it with the text above.",
  };
}

/** What went wrong, and what to do about it. */
export function ProblemNote({ error, retry }: { error: unknown; retry?: (() => void) | undefined }) {
  const problem = problemOf(error);
  return (
    <div className="problem" role="alert">
      <Icon name="warning" />
      <div>
        <p className="problem-title">{sentence(problem.detail ?? problem.title)}</p>
        {problem.remedy && <p className="remedy">{problem.remedy}</p>}
        <p className="problem-code">
          {problem.title} · {problem.type.replace("urn:ironroot:problem:", "")}
          {problem.status > 0 && ` · ${problem.status}`}
        </p>
      </div>
      {retry && (
        <Button tone="plain" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}
