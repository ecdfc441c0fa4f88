/*
 * The mapper: a stub's first thread. It carries out the Sentry's batches of operations and never runs a
 * program's instruction. It keeps everything in registers and reads only read-only pages, because the
 * program can write all other memory here: it has no stack, and it reports through pwrite to the shared
 * file, which the program cannot call. The first stub of all (the zygote) runs the same loop; there the
 * operations clone further stubs.
 *
 * r12d last batch done, r13 CTL, r14 GLOBAL, r15 operation, ebx operations left, ebp spins left.
 */
#include "layout.h"

    .text
    .globl mapper
mapper:
    movabs $CTL_BASE, %r13
    movabs $GLOBAL_BASE, %r14
    xor %r12d, %r12d
    xor %esp, %esp
top:
    mov G_MAPPER_SPIN(%r14), %ebp
poll:
    mov C_POSTED(%r13), %eax
    cmp %r12d, %eax
    jne work
    test %ebp, %ebp
    jz sleep
    pause
    dec %ebp
    jmp poll
sleep:
    mov $202, %eax /* futex(&posted, FUTEX_WAIT, done) */
    lea C_POSTED(%r13), %rdi
    xor %esi, %esi
    mov %r12d, %edx
    xor %r10d, %r10d
    syscall
    jmp poll

work:
    mov C_COUNT(%r13), %ebx
    lea C_OPS(%r13), %r15
next:
    test %ebx, %ebx
    jz finish
    mov (%r15), %eax
    cmp $OP_CLONE_STUB, %eax
    je clone_stub
    cmp $OP_SPAWN_RUNNER, %eax
    je spawn_runner
    cmp $OP_START, %eax
    je start
    mov 4(%r15), %eax
    mov 8(%r15), %rdi
    mov 16(%r15), %rsi
    mov 24(%r15), %rdx
    mov 32(%r15), %r10
    mov 40(%r15), %r8
    mov 48(%r15), %r9
    syscall
    cmp $-4095, %rax
    jae failed
advance:
    add $OP_BYTES, %r15
    dec %ebx
    jmp next

failed: /* pwrite(shared, &errnoTable[-result], 4, &CTL.error) */
    neg %eax
    and $511, %eax
    lea G_ERRNO_TABLE(%r14, %rax, 4), %rsi
    mov C_FILE_OFFSET(%r13), %r10
    add $C_ERROR, %r10
    mov G_SHARED_FD(%r14), %edi
    mov $4, %edx
    mov $18, %eax
    syscall
    jmp advance

finish: /* pwrite(shared, &CTL.posted, 4, &CTL.done) */
    mov C_POSTED(%r13), %r12d
    lea C_POSTED(%r13), %rsi
    mov C_FILE_OFFSET(%r13), %r10
    add $C_DONE, %r10
    mov G_SHARED_FD(%r14), %edi
    mov $4, %edx
    mov $18, %eax
    syscall
    cmpl $0, C_SENTRY_WAITS(%r13)
    je top
    mov $202, %eax /* futex(&done, FUTEX_WAKE, 1) */
    lea C_DONE(%r13), %rdi
    mov $1, %esi
    mov $1, %edx
    syscall
    jmp top

start: /* give a runner its word: operands are its address and the word */
    mov 8(%r15), %rdi
    mov 16(%r15), %eax
    xchg %eax, R_WORD(%rdi)
    cmpl $0, R_SLEEPING(%rdi)
    je advance
    mov $202, %eax
    mov $1, %esi
    mov $1, %edx
    syscall
    jmp advance

clone_stub: /* operands: flags, where to store the pid, file offset of the new stub's CTL */
    mov $56, %eax
    mov 8(%r15), %rdi
    xor %esi, %esi
    mov 16(%r15), %rdx
    xor %r10d, %r10d
    xor %r8d, %r8d
    mov 24(%r15), %r9
    syscall
    test %rax, %rax
    js failed
    jnz advance
    /* The new stub: its own CTL in place of the zygote's, then it is a mapper like any other. */
    mov $9, %eax
    mov %r13, %rdi
    mov $CTL_BYTES, %esi
    mov $1, %edx
    mov $0x11, %r10d
    mov G_SHARED_FD(%r14), %r8d
    syscall
    cmp %r13, %rax
    jne die
    mov $157, %eax /* prctl(PR_SET_PDEATHSIG, SIGKILL) */
    mov $1, %edi
    mov $9, %esi
    xor %edx, %edx
    xor %r10d, %r10d
    xor %r8d, %r8d
    syscall
    mov $110, %eax /* the Sentry may have died before that */
    syscall
    cmp G_SENTRY_PID(%r14), %eax
    jne die
    jmp mapper

spawn_runner: /* operands: flags, where to store the tid, runner block */
    mov $56, %eax
    mov 8(%r15), %rdi
    xor %esi, %esi
    mov 16(%r15), %rdx
    xor %r10d, %r10d
    xor %r8d, %r8d
    mov 24(%r15), %r9
    syscall
    test %rax, %rax
    js failed
    jnz advance
    /* The new runner: its filter first, then a stack of its own. */
    mov %r9, %rbx
    cmpl $0, G_USER_DISPATCH(%r14)
    je filter
    mov $157, %eax /* prctl(PR_SET_SYSCALL_USER_DISPATCH, ON, blob, length, NULL) */
    mov $59, %edi
    mov $1, %esi
    movabs $REGION_BASE, %rdx
    mov $CODE_BYTES, %r10d
    xor %r8d, %r8d
    syscall
filter:
    mov $317, %eax /* seccomp(SECCOMP_SET_MODE_FILTER, 0, program) */
    mov $1, %edi
    xor %esi, %esi
    lea G_RUNNER_FILTER(%r14), %rdx
    syscall
    test %rax, %rax
    jnz die
    mov %rbx, %rsp
    mov %rbx, %rdi
    jmp runner_main

die:
    mov $231, %eax
    mov $1, %edi
    syscall
    ud2
    .section .note.GNU-stack, "", @progbits
